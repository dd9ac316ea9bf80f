"""A few words on the device that somebody signs in with, so that they recognise it later.

Made from the ``User-Agent``, which the client writes as it likes. So nothing of it is kept or shown: only which of the
words below were found in it. For recognising, not for deciding: a thief copies it along with the cookie.
"""

# Each names itself and, for old times' sake, those below it.
BROWSERS = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "SamsungBrowser/": "Samsung Internet",
    "Firefox/": "Firefox",
    "FxiOS/": "Firefox",
    "CriOS/": "Chrome",
    "Chrome/": "Chrome",
    "Safari/": "Safari",
}
SYSTEMS = {
    "iPhone": "an iPhone",
    "iPad": "an iPad",
    "Android": "Android",
    "Windows": "Windows",
    "CrOS": "ChromeOS",
    "Macintosh": "a Mac",
    "Linux": "Linux",
}
UNKNOWN = "An unknown device"


def device_of(user_agent: str) -> str:
    """For example "Firefox on Windows"."""
    browser, system = found(BROWSERS, user_agent), found(SYSTEMS, user_agent)
    if browser is None:
        return UNKNOWN
    return f"{browser} on {system}" if system else browser


def found(words: dict[str, str], text: str) -> str | None:
    return next((meaning for word, meaning in words.items() if word in text), None)
