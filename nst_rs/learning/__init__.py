"""Making a learned style: scenes and a painting in, one file out that styles any scene."""
