"""What a multimedia message consists of, built from a customer's columns and files. Pure: no database, no link."""
