"""What the report is made of: facts from the tracker, tables, the flow of patients, checklists and the page."""
