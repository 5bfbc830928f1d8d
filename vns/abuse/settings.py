"""Settings of the rules against abuse, read from the environment (`VNS_…`)."""

from datetime import timedelta

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from vns.abuse.rules import Policy


class AbuseSettings(BaseSettings):
    """What bridges and the worker need to agree on. 0 switches a rule off."""

    model_config = SettingsConfigDict(env_prefix="VNS_", extra="ignore")

    calls_per_caller: int = Field(default=120, ge=0, description="Calls a minute from one caller; more are refused.")
    calls_per_number: int = Field(
        default=120, ge=0, description="Calls a minute to one virtual number; more are refused."
    )
    scan_numbers: int = Field(
        default=20,
        ge=0,
        description="A caller who tries this many different virtual numbers in vain is taken for a scanner.",
    )
    scan_window_seconds: int = Field(default=600, ge=1, description="Within this time.")
    scan_stop_seconds: int = Field(default=3600, ge=1, description="How long a scanner reaches nobody.")
    reach_customers: int = Field(
        default=400, ge=0, description="A caller connected to this many bindings within a day is flagged."
    )
    reach_stops: bool = Field(default=False, description="Whether such a caller is stopped, not only flagged.")
    reach_stop_seconds: int = Field(default=86_400, ge=1, description="For how long.")

    def policy(self) -> Policy:
        return Policy(
            calls_per_caller=self.calls_per_caller,
            calls_per_number=self.calls_per_number,
            scan_numbers=self.scan_numbers,
            scan_window=timedelta(seconds=self.scan_window_seconds),
            scan_stop=timedelta(seconds=self.scan_stop_seconds),
            reach_customers=self.reach_customers,
            reach_window=timedelta(days=1),
            reach_stops=self.reach_stops,
            reach_stop=timedelta(seconds=self.reach_stop_seconds),
        )
