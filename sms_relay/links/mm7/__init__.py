"""MM7 (3GPP TS 23.140, SOAP with MIME over HTTP): a link that takes multimedia messages. The only package that knows
the protocol.
"""
