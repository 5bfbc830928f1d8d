"""The question that Asterisk asks for every call, over FastAGI."""
