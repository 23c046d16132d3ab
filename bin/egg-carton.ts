#!/usr/bin/env node
/**
 * `npx egg-carton`: the command line is `lib/cli`'s.
 */
import { main } from '../lib/cli/main';
import { processTerminal } from '../lib/cli/terminal';

void main(process.argv.slice(2), processTerminal()).then((code) => {
  process.exitCode = code;
});
