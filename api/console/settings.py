"""Settings of the console (`VNS_CONSOLE_…`)."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ConsoleSettings(BaseSettings):
    """What the pages need beside the API's settings."""

    model_config = SettingsConfigDict(env_prefix="VNS_CONSOLE_", extra="ignore")

    help_desk: str = Field(default="1544-0000", description="Telephone of the help desk, shown on every page.")
    secure_cookies: bool = Field(
        default=False,
        description="Cookies of the console travel over HTTPS only. Set it wherever a proxy in front speaks TLS.",
    )
    max_upload_bytes: int = Field(
        default=10_485_760, ge=65_536, description="Largest file that the console takes, with the form around it."
    )
    logins_per_minute: int = Field(
        default=10, ge=1, description="Tries to log in that one address may make in a minute, right or wrong."
    )
