"""The commands that carry out an answer in Asterisk: variables set together, then the place where the call goes on.

Each step of a dialplan costs Asterisk about a tenth of a millisecond, as it tells of every step inside, and not of
commands. So whatever a step would set is set here, and the call goes on where the step would have led.
"""

from collections.abc import Mapping

ANSWERS = "vns-answer"
"""The context with an extension for each value of ACT."""

# What was set when the call came in is over: the question is answered.
_NO_TIME_OUT = {"TIMEOUT(absolute)": "0"}
_HIDDEN = {"CALLERID(pres)": "prohib", "CALLERID(num-valid)": "0"}


def commands(answer: Mapping[str, str]) -> bytes:
    """`answer`: as ivr.agi.instructions words it. Raises ValueError for a value that could become another command."""
    variables = {name: value for name, value in answer.items() if name not in {"ACT", "CID"}} | _NO_TIME_OUT
    if answer["NUM"]:
        variables |= {"CALLERID(all)": answer["CID"], **({} if answer["CID"] else _HIDDEN)}
    names = ",".join(variables)
    values = ",".join(variables.values())
    act = answer["ACT"]
    if any(character in names + values + act for character in ' "\\\r\n'):
        raise ValueError("an answer holds a character that is not its own")
    return (
        f'SET VARIABLE ARRAY({names}) "{values}"\nSET CONTEXT {ANSWERS}\nSET EXTENSION {act}\nSET PRIORITY 1\n'
    ).encode()
