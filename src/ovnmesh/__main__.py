"""`python -m ovnmesh` is `ovnmesh`."""

from ovnmesh.cli.main import main

if __name__ == "__main__":
    main()
