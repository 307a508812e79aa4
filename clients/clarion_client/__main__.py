"""`python -m clarion_client` is `clarion`."""

from clarion_client.cli import main

if __name__ == "__main__":
    main()
