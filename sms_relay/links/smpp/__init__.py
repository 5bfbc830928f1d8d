"""SMPP 3.4, both pure codec (`pdu`, `text`, `receipts`) and the transceiver that uses it (`session`,
`link`).
"""
