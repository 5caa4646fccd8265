"""`stzoo publish`: a bundle into a Hub repository, in one commit."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from stzoo.errors import UsageError


@click.command()
@click.argument("source", metavar="RUN_OR_BUNDLE")
@click.option("--repo", metavar="ORG/NAME", required=True, help="The Hub repository; it is made where there is none.")
@click.option("--private", is_flag=True, help="Make the repository private; refuse one that is public.")
@click.option("--revision", metavar="BRANCH", default="main", show_default=True, help="The branch to commit to.")
@click.option("--dry-run", is_flag=True, help="Only write what would be uploaded into a folder.")
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder of --dry-run.  [default: the repository's name and -upload]",
)
def publish(source: str, repo: str, private: bool, revision: str, dry_run: bool, output: Path | None) -> None:
    """Put a bundle, or the bundle of a run, into a Hub repository in one commit.

    The net is rebuilt from the folder alone, measured and run on a clip, and the model card is made from the bundle and
    its card file, NAME.md beside the bundle's files or in the run's folder. Run again, it uploads only what differs.
    HF_ENDPOINT names another Hub, `hf auth login` or HF_TOKEN says who you are.
    """
    from stzoo.zoo import publishing
    from stzoo.zoo.hub import Repository

    if output is not None and not dry_run:
        raise UsageError("--output is the folder of --dry-run; give both or neither")
    repository = Repository(repo, revision)

    def say(sentence: str) -> None:
        click.echo(sentence, err=True)

    if dry_run:
        target = output or Path(f"{repo.partition('/')[2]}-upload")
        click.echo(publishing.prepare(source, target, repository, say=say))
        return
    done = publishing.publish(source, repository, private=private, say=say)
    if not done.changed:
        say("The repository holds exactly this already; nothing was uploaded.")
    click.echo(f"{done.url}\ncommit {done.commit}")
    say(f"A card of the zoo names it by the line `weights: {{hub: {repository.id}, revision: {done.commit}}}`.")
