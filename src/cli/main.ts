#!/usr/bin/env node
import { loadCommands } from './bundle.js';

const args = process.argv.slice(2);
// A device's file, and what it imports, may import this package: that has to be what runs here.
const loadsFiles = args[0] !== 'run' || args.some((each) => /^--device(=|$)/.test(each));
const { main } = loadsFiles ? await import('./commands.js') : loadCommands();
process.exitCode = await main(args);
