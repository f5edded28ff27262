"""What an attacker would try, tried against the service as it runs. `python -m tests.attack --help`."""
