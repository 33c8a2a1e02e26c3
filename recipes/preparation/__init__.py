"""The steps of data preparation over folders of tables (paper §3.1, §3.2.2): each can be killed and goes on."""
