"""The process that decides: state machine, panel, catalogue writer; it watches the engine."""
