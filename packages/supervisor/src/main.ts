import { setFlagsFromString } from 'node:v8';
import { runCli } from './cli.js';
import { PROCESS_IO } from './commands/exit-code.js';

// The young generation of the main thread's heap stays at its first size: log lines and accepted clients make garbage
// that is gone at once, and what V8 takes to hold more of it would count as memory of each idle client.
setFlagsFromString('--semi-space-growth-factor=1');

// `pgdog-cluster schema | head` closes our output early: that is no failure of ours.
process.stdout.on('error', () => {});
process.stderr.on('error', () => {});

process.exitCode = await runCli(process.argv.slice(2), PROCESS_IO);
