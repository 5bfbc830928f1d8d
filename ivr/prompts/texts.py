"""The words of each prompt by its name."""

# By the names in `vns.routing.rules.REFUSALS`; short: a refusal ends within 12 s.
_REFUSALS = {
    "unallocated": "지금 거신 번호는 없는 번호입니다. 번호를 확인하신 후 다시 걸어 주십시오.",
    "ended": "사용이 종료된 안심번호입니다.",
    "not_a_party": "연결할 수 없는 발신번호입니다.",
    "not_allowed": "이 번호로는 연결이 제한되어 있습니다.",
    "busy": "지금은 통화 중입니다. 잠시 후 다시 걸어 주십시오.",
    "no_answer": "전화를 받지 않습니다. 잠시 후 다시 걸어 주십시오.",
    "unreachable": "지금은 전화를 연결할 수 없습니다.",
    "overload": "잠시 후 다시 걸어 주십시오.",
}

_VERIFICATION = {
    "verify_greeting": "안녕하십니까. 발신번호 인증 전화입니다. 인증번호를 불러 드리겠습니다.",
    "verify_again": "다시 한 번 불러 드리겠습니다.",
    "verify_goodbye": "이용해 주셔서 감사합니다.",
    # as digits are read out on the telephone: 0 is 공
    **{f"digit_{digit}": word for digit, word in enumerate("공일이삼사오육칠팔구")},
}

_DIGITS = {
    "ask_extension": "연결할 내선 번호를 누르신 후 우물 정자를 눌러 주십시오.",
    "ask_number": "전화하실 번호를 누르신 후 우물 정자를 눌러 주십시오.",
    "wrong_digits": "잘못 누르셨습니다.",
}

_LIMITS = {"last_minute": "통화가 곧 종료됩니다."}

_RECORDING = {"recording_notice": "이 통화는 녹음됩니다."}

PROMPTS: dict[str, str] = {**_REFUSALS, **_VERIFICATION, **_DIGITS, **_LIMITS, **_RECORDING}
