"""Who may come in. Pure decisions; the clock is passed in."""
