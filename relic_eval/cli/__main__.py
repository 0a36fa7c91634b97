"""python -m relic_eval.cli"""

from relic_eval.cli import main

if __name__ == "__main__":
    main()
