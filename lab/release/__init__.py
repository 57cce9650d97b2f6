"""Ship: preview, gate, immutable versions, gateway folder, records, hub, taxonomy doctor."""
