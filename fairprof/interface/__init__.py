"""What people call from Python: functions of tables, which need neither torch nor MLflow."""
