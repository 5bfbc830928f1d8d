"""Applications for an exemption as tests need them."""

from tests.core_world import World
from vns.senders.applications import Applications
from vns.senders.exemption_rules import Company

REGISTRATION = b"%PDF-1.7\nregistration of a value-added carrier\n%%EOF\n"
BUSINESS, CORPORATE = "124-81-00998", "130111-0006246"  # of a company that everybody knows
REPRESENTATIVE, ADDRESS = "홍대표", "서울특별시 중구 세종대로 110"


def company(
    *numbers: str,
    name: str = "한빛 주식회사",
    business: str = BUSINESS,
    corporate: str | None = CORPORATE,
    new_corporate: bool = False,
    representative: str = REPRESENTATIVE,
    address: str = ADDRESS,
) -> Company:
    return Company(
        company=name,
        business_number=business,
        corporate_number=corporate,
        new_corporate_number=new_corporate,
        representative=representative,
        address=address,
        numbers=numbers or ("02-1234-5678",),
    )


def applications_of(world: World) -> Applications:
    return Applications(world.db, world.keyring, world.clock)
