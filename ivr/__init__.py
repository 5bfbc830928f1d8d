"""The voice side: Asterisk asks over FastAGI what to do with a call, and reports over the AMI what became of it."""
