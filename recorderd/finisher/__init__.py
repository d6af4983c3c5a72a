"""Work on finished recordings in the background; it never holds up the station."""
