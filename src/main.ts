// The entry: picks the hook or the command line by the first argument. Imports nothing statically: the hook runs
// inside every agent's turn and pays for each module.

export {};

if (Bun.argv[2] === "check-inbox" && !Bun.argv.includes("--help")) {
  const { checkInbox } = await import("./hook/check-inbox.ts");
  // not left to the event loop: a read of standard input that was given up would keep the process
  process.exit(await checkInbox(Bun.argv.slice(3)));
} else {
  const { main } = await import("./cli/cli.ts");
  process.exitCode = await main(Bun.argv.slice(2));
}
