"""Why a detector says what it says: evidence in the picture, and similar training boxes."""
