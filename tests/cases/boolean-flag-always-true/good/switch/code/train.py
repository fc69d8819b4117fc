import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--private", action="store_true")
parser.add_argument("--epochs", type=int, default=1)
args = parser.parse_args()

import click


@click.command()
@click.option("--private", type=bool)
def main(private):
    pass
