#!/usr/bin/env node
import { loadCommands } from './bundle.js';

process.exitCode = await loadCommands().main(process.argv.slice(2));
