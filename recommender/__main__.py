"""``python -m recommender`` is ``zt-recommend``."""

from recommender.cli import main

main()
