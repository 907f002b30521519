"""``likeness init``."""

from rich.console import Console
from rich.markup import escape

from likeness.cli.opening import open_deployment
from likeness.deployment import initialise
from likeness.settings import Settings


def init() -> None:
    """Make the data folder, the master key and the database.

    The folder is ./data; LIKENESS_DATA_DIR sets another one. Keep a copy
    of the key file apart from the data. Without the key, nobody can open
    the data.

    Example: LIKENESS_DATA_DIR=/srv/likeness likeness init
    """
    settings = Settings()
    initialise(settings)
    open_deployment(settings).close()  # the first record of the audit trail
    console = Console()
    console.print(f"Data folder  {escape(str(settings.data_dir.resolve()))}")
    place = str(settings.master_key_file.resolve()) if settings.has_key_file else settings.key_place
    console.print(f"Master key   {escape(place)}  [yellow](back it up, apart from the data)[/]")
    if settings.key_is_beside_the_data:
        console.print(
            "[yellow]Warning:[/] the key lies beside the data, so a copy of the folder opens everything. Before you "
            "store real faces, move the key file elsewhere and name it in LIKENESS_KEY_FILE."
        )
    console.print("Next: [bold]likeness tenant create NAME[/], then [bold]likeness serve[/]")
