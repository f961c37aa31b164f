from crdt_server.cli import main

main()
