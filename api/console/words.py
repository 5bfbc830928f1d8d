"""The Korean of what the core calls by names of its own."""

import re
from typing import Final

MODES: Final = {
    "one_way": "일반형",
    "bidirectional": "양방향",
    "per_side": "양방향(번호 분리)",
    "extension": "내선형",
    "group": "그룹형",
    "outbound": "발신번호 변경",
}
STATUSES: Final = {  # of bindings
    "active": "사용중",
    "released": "해제",
    "expired": "만료",
    "consumed": "통화 후 종료",
}
CHANNELS: Final = {"voice": "통화", "sms": "문자"}
RESULTS: Final = {  # of calls
    "in_progress": "진행중",
    "answered": "통화",
    "cancelled": "발신자 취소",
    "unknown": "알 수 없음",
    "unallocated": "없는 번호",
    "ended": "사용 종료된 번호",
    "not_a_party": "연결 대상 아님",
    "not_allowed": "연결 제한",
    "busy": "통화중",
    "no_answer": "응답 없음",
    "unreachable": "연결 불가",
    "overload": "과부하",
}
HANGUPS: Final = {"caller": "발신자", "callee": "수신자", "platform": "시스템"}
MESSAGE_STATUSES: Final = {
    "received": "접수",
    "refused": "거절",
    "queued": "대기",
    "sent": "전송",
    "delivered": "전달 완료",
    "failed": "실패",
    "unknown": "알 수 없음",
}
MESSAGE_REASONS: Final = {
    **RESULTS,
    "unreadable": "읽을 수 없는 내용",
    "empty": "빈 내용",
    "too_long": "너무 긴 내용",
    "not_encodable": "보낼 수 없는 문자 포함",
    "sender_not_registered": "발신번호 미등록",
    "incomplete": "일부만 도착",
}
TENANT_KINDS: Final = {"mall": "쇼핑몰", "courier": "택배사", "operator": "운영자"}
TENANT_STATUSES: Final = {"active": "이용중", "suspended": "정지"}
SCOPES: Final = {
    "bindings:write": "번호 할당·해제",
    "bindings:read": "번호 조회",
    "bindings:reveal": "실번호 조회",
    "deliveries:read": "배송 조회",
    "calls:read": "통화 이력",
    "messages:read": "문자 이력",
    "senders:read": "발신번호 조회",
    "senders:write": "발신번호 관리",
    "senders:review": "발신번호 심사",
    "messages:send": "문자 발송",
    "messages:write": "문자 발송",
    "pools:read": "번호 대역 조회",
    "pools:write": "번호 대역 관리",
    "rules:write": "규칙 관리",
    "recordings:read": "녹취 조회",
}
ROLES: Final = {
    "operator": "운영자",
    "mall_admin": "고객사 관리자",
    "mall_user": "고객사 사용자",
    "sender_manager": "발신번호 담당자",
    "read_only": "조회 전용",
}
SENDER_STATUSES: Final = {
    "waiting": "인증대기",
    "verified": "인증완료",
    "failed": "인증실패",
    "expired": "인증만료",
}
SENDER_METHODS: Final = {
    "call": "전화",
    "sms": "문자",
    "document": "서류",
    "listed": "등록 즉시",
    "exempt": "예외 적용",
    "manager": "담당자",
}
CALL_STATUSES: Final = {  # of verification calls; those that failed have a reason
    "queued": "전화를 걸 준비를 하고 있습니다.",
    "calling": "전화를 걸고 있습니다. 받아서 6자리 인증번호를 들어 주세요.",
    "completed": "인증번호를 읽어 드렸습니다. 들은 인증번호를 입력해 주세요.",
}
CALL_FAILURES: Final = {
    "busy": "통화 중이어서 인증번호를 전하지 못했습니다. 통화를 마친 뒤 인증 전화를 다시 받아 주세요.",
    "no_answer": "전화를 받지 않았습니다. 받을 수 있을 때 인증 전화를 다시 받아 주세요. "
    "ARS나 팩스가 받는 번호라면 서류로 인증해 주세요.",
    "unreachable": "이 번호에 연결할 수 없었습니다. 번호가 맞는지, 착신이 정지되지 않았는지 확인해 주세요. "
    "계속 연결되지 않으면 서류로 인증해 주세요.",
    "hung_up_early": "인증번호를 다 듣기 전에 전화가 끊겼습니다. 인증 전화를 다시 받아 끝까지 들어 주세요.",
    "expired": "5분 안에 전화를 걸지 못했습니다. 잠시 뒤 다시 받아 주시고, 계속되면 고객센터로 연락해 주세요.",
}
MANAGER_STATUSES: Final = {
    "draft": "작성 중",
    "waiting": "승인대기",
    "approved": "승인",
    "refused": "거절",
}
PAPERS: Final = {
    "subscription": "통신서비스 이용증명원",
    "employment": "재직증명서",
    "attorney": "위임장",
    "registration": "부가통신사업자 등록증",
}
EXEMPTION_ROUTES: Final = {
    "integration": "서버 연동",
    "carrier": "특수한 유형의 부가통신사업자",
}
EXEMPTION_STATUSES: Final = {
    "draft": "작성 중",
    "waiting": "승인대기",
    "approved": "승인",
    "refused": "거절",
}
SENDER_FAULTS: Final = {
    "malformed": "발신번호 형식이 아닙니다",
    "duplicate": "위에 같은 번호가 있습니다",
    "registered": "이미 등록된 번호입니다",
    "over_quota": "허용 개수를 넘습니다",
}
TARGETS: Final = {
    "real": "안심번호 소유자",
    "peer": "상대방",
    "team": "그룹 구성원",
    "last_caller": "마지막으로 전화한 사람",
    "dialled": "발신자가 누른 번호",
    "fallback": "대체 수신 번호",
}

ERRORS: Final = {
    "invalid_request": "입력한 내용을 확인해 주세요.",
    "invalid_number": "전화번호 형식이 아닙니다. 지역번호를 포함해 국내 번호를 입력해 주세요.",
    "number_not_mappable": "긴급·특수번호나 안심번호는 연결 대상이 될 수 없습니다. 일반 전화번호를 입력해 주세요.",
    "same_party": "두 사람의 번호가 같습니다. 서로 다른 번호를 입력해 주세요.",
    "mode_not_supported": "이 번호 대역에서는 선택한 방식을 쓸 수 없습니다. 다른 서비스를 선택해 주세요.",
    "expires_too_soon": "만료 시각은 지금부터 1분 이후여야 합니다.",
    "pool_exhausted": "남은 번호가 없습니다. 고객센터에 번호 추가를 요청해 주세요.",
    "pool_overlap": "이미 등록된 번호 대역과 겹칩니다. 범위를 확인해 주세요.",
    "pair_in_use": "이미 이 번호로 연결된 상대가 있습니다.",
    "virtual_number_in_use": "사용 중이거나 휴지 기간인 번호입니다. 다른 번호를 선택해 주세요.",
    "call_under_way": "이 번호로 인증 전화를 걸고 있습니다. 통화가 끝난 뒤 다시 시도해 주세요.",
    "manager_needed": "승인된 담당자가 있어야 할 수 있는 작업입니다. 담당자 메뉴에서 담당자를 지정해 주세요.",
    "caller_id_not_proven": "인증 전화에 쓸 발신번호가 준비되지 않았습니다. 고객센터로 연락해 주세요.",
    "quota_exceeded": "허용된 개수를 넘었습니다. 쓰지 않는 번호를 정리하거나 한도 증설을 요청해 주세요.",
    "not_found": "찾는 내용이 없거나 볼 수 있는 권한이 없습니다.",
    "unauthorized": "로그인이 필요합니다.",
    "forbidden": "이 작업을 할 권한이 없습니다. 필요하면 관리자에게 요청해 주세요.",
    "rate_limited": "요청이 너무 많습니다. 잠시 후 다시 시도해 주세요.",
    "unavailable": "시스템이 응답하지 않습니다. 잠시 후 다시 시도해 주세요.",
    "internal_error": "처리 중 오류가 발생했습니다. 잠시 후 다시 시도하고, 계속되면 고객센터로 연락해 주세요.",
    "method_not_allowed": "잘못된 요청입니다. 이전 페이지로 돌아가 다시 시도해 주세요.",
    "payload_too_large": "파일이 너무 큽니다. 나누어 올려 주세요.",
    "conflict": "다른 작업과 겹쳤습니다. 새로고침한 뒤 다시 시도해 주세요.",
}

EVENTS: Final = {
    "binding.revealed": "실번호 조회",
    "binding.changed": "안심번호 변경",
    "binding.created": "안심번호 할당",
    "binding.released": "안심번호 해제",
    "block.created": "차단 등록",
    "block.removed": "차단 해제",
    "caller.cleared": "발신자 표시 해제",
    "delivery_grant.created": "배송 조회 허용",
    "delivery_grant.removed": "배송 조회 허용 취소",
    "export.made": "파일 내려받기",
    "hook.changed": "인터셉트 훅 변경",
    "hook.removed": "인터셉트 훅 삭제",
    "key.issued": "API 키 발급",
    "key.revoked": "API 키 폐기",
    "key.rotated": "API 키 교체",
    "pool.changed": "번호 대역 변경",
    "pool.created": "번호 대역 생성",
    "pool.low": "번호 부족 알림",
    "pool.proof_expiring": "번호 대역 증빙 만료 예정",
    "prompt.created": "안내 음성 등록",
    "prompt.deleted": "안내 음성 삭제",
    "recording.downloaded": "녹취 내려받기",
    "recording.link_made": "녹취 링크 생성",
    "sender.registered": "발신번호 등록",
    "sender.account_added": "등록 계정 추가",
    "sender.account_removed": "등록 계정 제외",
    "sender.expiring": "발신번호 인증 만료 예정",
    "sender.exempted": "발신번호 예외 적용",
    "sender.exemption_drafted": "예외 적용 신청 작성",
    "sender.exemption_submitted": "예외 적용 승인 요청",
    "sender.exemption_withdrawn": "예외 적용 신청 취소",
    "sender.exemption_approved": "예외 적용 승인",
    "sender.exemption_refused": "예외 적용 거절",
    "sender.exemption_expiring": "예외 적용 만료 예정",
    "sender.exemption_revoked": "발신번호 예외 적용 취소",
    "sender.document_uploaded": "발신번호 서류 올리기",
    "sender.document_read": "발신번호 서류 열람",
    "sender.code_sent": "발신번호 인증번호 발송",
    "sender.verified": "발신번호 인증 완료",
    "sender.rejected": "발신번호 인증 거절",
    "sender.exported": "발신번호 내려받기",
    "sender.removed": "발신번호 삭제",
    "sender.manager_designated": "발신번호 담당자 지정",
    "sender.manager_code_sent": "담당자 인증번호 발송",
    "sender.manager_mobile_proven": "담당자 휴대전화 인증",
    "sender.manager_submitted": "담당자 승인 요청",
    "sender.manager_approved": "담당자 승인",
    "sender.manager_refused": "담당자 거절",
    "sender.manager_ended": "담당자 지정 해제",
    "sender.selection_sent": "선택 인증번호 발송",
    "sender.policy_set": "발신번호 정책 변경",
    "texts.relay_number_set": "중계 발신번호 등록",
    "texts.relay_number_removed": "중계 발신번호 삭제",
    "texts.relay_number_expiring": "중계 발신번호 증빙 만료 예정",
    "tenant.created": "고객사 등록",
    "tenant.quotas_set": "한도 변경",
    "tenant.resumed": "고객사 이용 재개",
    "tenant.suspended": "고객사 이용 정지",
    "user.created": "사용자 등록",
    "user.login": "로그인",
    "user.unlocked": "계정 잠금 해제",
    "user.password_reset": "임시 비밀번호 발급",
    "user.password_changed": "비밀번호 변경",
    "user.locked": "계정 잠금",
    "verification.requested": "인증 전화 요청",
    "verification.ended": "인증 전화 종료",
}

# The steps of a decision, as vns.routing.decision words them. `{}` are passed on; what is not found stays as it is.
STEPS: Final = (
    ("the caller is stopped, for scanning or by the operator", "차단된 발신자입니다(무작위 발신 또는 운영자 조치)."),
    ("the number dialled is in no pool", "플랫폼에 없는 번호입니다."),
    ("nobody has this extension", "해당 내선을 쓰는 사람이 없습니다."),
    ("the number is free", "아직 누구에게도 할당되지 않은 번호입니다."),
    ("the caller's number is withheld", "발신번호가 표시되지 않았습니다."),
    ("calls from this caller are blocked", "이 발신자는 차단되어 있습니다."),
    ("calls to whom this would reach are blocked", "연결될 상대가 차단되어 있습니다."),
    ("the number has extensions: ask for one", "내선이 있는 번호입니다. 내선번호 입력을 요청합니다."),
    (
        "the number connects pairs, and the caller is in none of them",
        "짝을 연결하는 번호인데 발신자가 어느 짝에도 없습니다.",
    ),
    ("the caller's pair on this number has ended", "발신자가 속한 연결이 종료되었습니다."),
    (
        "the binding has ended and the number is in quarantine",
        "연결이 종료되었고 번호는 휴지 기간입니다.",
    ),
    (
        "the last binding has ended and its quarantine is over",
        "마지막 연결이 종료되었고 휴지 기간도 지났습니다.",
    ),
    (
        "there is a fallback number, but the number rests no more",
        "대체 수신 번호가 있으나 번호의 휴지 기간이 지났습니다.",
    ),
    (
        "there is a fallback number, but the caller is no party any more",
        "대체 수신 번호가 있으나 발신자는 더 이상 이 연결의 당사자가 아닙니다.",
    ),
    (
        "there is a fallback number, but the caller's number is withheld",
        "대체 수신 번호가 있으나 발신번호가 표시되지 않았습니다.",
    ),
    (
        "there is a fallback number, but calls from this caller are blocked",
        "대체 수신 번호가 있으나 이 발신자는 차단되어 있습니다.",
    ),
    (
        "there is a fallback number, but no caller ID that is proven",
        "대체 수신 번호가 있으나 표시할 수 있는 검증된 번호가 없습니다.",
    ),
    ("the owner dials its own number", "소유자가 자기 안심번호로 걸었습니다."),
    ("the owner dials its own extension", "소유자가 자기 내선으로 걸었습니다."),
    (
        "only its subscriber may call out through this number",
        "이 번호로 발신할 수 있는 사람은 가입자뿐입니다.",
    ),
    ("nobody has called the owner yet", "소유자에게 전화한 사람이 아직 없습니다."),
    ("the owner calls back", "소유자가 되걸기를 합니다."),
    ("the caller is no party of this binding", "발신자는 이 연결의 당사자가 아닙니다."),
    (
        "the caller dials the number that is the other party's to dial",
        "상대방이 걸어야 하는 번호로 걸었습니다.",
    ),
    ("outside the hours of the rules, in Korean time", "설정된 시간대 밖입니다(한국 시각)."),
    ("within the hours of the rules", "설정된 시간대 안입니다."),
    (
        "the pool's proof is not on file: its numbers are no caller ID",
        "번호 대역의 증빙이 없어 발신번호로 표시할 수 없습니다.",
    ),
    ("its subscriber dials the number: ask whom to call", "가입자가 걸었습니다. 연결할 번호 입력을 요청합니다."),
    ("the number wanted may be called", "걸 수 있는 번호입니다."),
    ("what the subscriber dialled is no Korean number", "가입자가 누른 번호가 국내 번호가 아닙니다."),
    ("the number wanted is a virtual number itself", "걸려는 번호가 안심번호입니다."),
    ("the subscriber calls itself", "가입자가 자기 번호로 걸었습니다."),
    ("the tenant's hook is asked before anybody is connected", "연결 전에 고객사 훅에 확인합니다."),
    ("live {} binding", "사용 중인 연결이 있습니다: {}"),
    ("the binding does not allow {}", "이 연결은 {}을(를) 허용하지 않습니다."),
    ("the rules do not allow direction {}", "규칙이 이 방향을 허용하지 않습니다: {}"),
    ("the rules do not allow {}", "규칙이 {}을(를) 허용하지 않습니다."),
    ("{} is allowed", "{} 허용"),
    (
        "as many calls as the number may have at a time: {}",
        "동시 통화 한도에 도달했습니다: {}",
    ),
    ("fewer calls than the number may have at a time: {}", "동시 통화 한도 안입니다: {}"),
    ("connect to the {}, presenting no number", "연결합니다: {} / 발신번호를 표시하지 않습니다."),
    ("connect to the {}, presenting the {}", "연결합니다: {} / 표시 번호: {}"),
    ("refuse: {}", "거절: {}"),
)
_PARTS: Final = {
    **MODES,
    **CHANNELS,
    **RESULTS,
    "real party": "안심번호 소유자",
    "peer party": "상대방",
    "team": "그룹 구성원",
    "last caller": "마지막으로 전화한 사람",
    "number dialled": "누른 번호",
    "fallback number": "대체 수신 번호",
    "virtual number": "안심번호",
    "caller": "발신자 번호",
}
_PATTERNS: Final = tuple((re.compile(re.escape(english).replace(r"\{\}", "(.+)")), korean) for english, korean in STEPS)


def step(english: str) -> str:
    """A step of a decision in Korean."""
    for pattern, korean in _PATTERNS:
        found = pattern.fullmatch(english)
        if found is not None:
            return korean.format(*(_PARTS.get(part, part) for part in found.groups()))
    return english


def error_text(code: str) -> str:
    """What went wrong and what to do about it."""
    return ERRORS.get(code, ERRORS["internal_error"] if code.startswith("internal") else ERRORS["invalid_request"])
