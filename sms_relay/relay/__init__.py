"""The relay: a text on a virtual number becomes a row in MSG_DATA, and the row's result the text's status."""
