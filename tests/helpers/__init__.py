"""What several tests share: servers, stores, planted markets, and the crash harness."""
