"""The command line: `main.py` and one file a verb. A verb parses, calls one library function, prints."""
