"""The words of each prompt, by the names in `vns.routing.rules.REFUSALS`; short: a refusal ends within 12 s."""

PROMPTS: dict[str, str] = {
    "unallocated": "지금 거신 번호는 없는 번호입니다. 번호를 확인하신 후 다시 걸어 주십시오.",
    "ended": "사용이 종료된 안심번호입니다.",
    "not_a_party": "연결할 수 없는 발신번호입니다.",
    "not_allowed": "이 번호로는 연결이 제한되어 있습니다.",
    "busy": "지금은 통화 중입니다. 잠시 후 다시 걸어 주십시오.",
    "no_answer": "전화를 받지 않습니다. 잠시 후 다시 걸어 주십시오.",
    "unreachable": "지금은 전화를 연결할 수 없습니다.",
    "overload": "잠시 후 다시 걸어 주십시오.",
}
