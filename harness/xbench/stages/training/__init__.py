"""What the stages that train share: objectives, features, a loss beside the task's, which step is kept."""
