"""Speaks a text in Korean with espeak-ng, where that program is installed."""

import asyncio

from vns.errors import InvalidAudio, SpeechUnavailable
from vns.prompts.audio import telephone_wav

WORDS_PER_MINUTE = 150
SPEAK_SECONDS = 15.0  # a minute of speech takes less than a second
LONGEST_WAV = 16 * 1024 * 1024  # bytes


async def speak(text: str) -> bytes:
    """Telephone speech as wav. Raises SpeechUnavailable, and InvalidAudio for what takes longer than a minute."""
    # read from standard input: a text may begin like an option
    command = ["espeak-ng", "-v", "ko", "-s", str(WORDS_PER_MINUTE), "-b", "1", "--stdin", "--stdout"]
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as error:
        raise SpeechUnavailable("espeak-ng is not installed here: send a recording") from error
    try:
        async with asyncio.timeout(SPEAK_SECONDS):
            wav, _ = await process.communicate(text.encode())
    except TimeoutError as error:
        raise SpeechUnavailable("espeak-ng took too long") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0 or not wav:
        raise SpeechUnavailable("espeak-ng failed")
    if len(wav) > LONGEST_WAV:
        raise InvalidAudio("the text takes longer than a minute to speak")
    return await asyncio.to_thread(telephone_wav, wav, most=LONGEST_WAV)
