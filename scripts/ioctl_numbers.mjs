// Makes uapi/lint/ioctl_numbers.ts from the kernel's list of ioctl numbers: who has which type, and
// which numbers of it. Only these facts are taken.
//
//   node scripts/ioctl_numbers.mjs linux/Documentation/userspace-api/ioctl/ioctl-number.rst 6.12
import { readFileSync, writeFileSync } from 'node:fs';

const [document, version] = process.argv.slice(2);
if (!document || !version) {
  process.stderr.write('Usage: ioctl_numbers.mjs FILE VERSION\n');
  process.exit(2);
}

const ROW = /^(0x[0-9a-f]{2}|'.') {2,3}(all|[0-9a-f]{1,2}(?:-[0-9a-f]{1,2})?)(?: +(.*))?$/i;
/** Where the column of comments begins. */
const COMMENTS = 71;

const hex = (number) => number.toString(16).toUpperCase().padStart(2, '0');

function range(text) {
  if (text === 'all') return '00-FF';
  const [first, last = first] = text.split('-').map((part) => Number.parseInt(part, 16));
  return `${hex(first)}-${hex(last)}`;
}

const rows = [];
for (const line of readFileSync(document, 'utf8').split('\n')) {
  const [, code, numbers] = ROW.exec(line) ?? [];
  if (code === undefined) continue;
  const file = line.slice(13, COMMENTS).replace('conflict!', '').trim();
  const comment = line.slice(COMMENTS).replace('conflict!', '').trim();
  const owner = (file || comment || 'somebody').replace(/[`,]+$|^`/g, '').replace(/ {2,}/g, ' ');
  const type = code.startsWith("'") ? code.charCodeAt(1) : Number.parseInt(code, 16);
  rows.push(`${hex(type)} ${range(numbers)} ${owner}`);
}

const header = `/**
 * Who has which ioctl numbers, by Linux ${version}'s list (Documentation/userspace-api/ioctl/ioctl-number.rst):
 * type, first and last number, and owner. Made by scripts/ioctl_numbers.mjs.
 */
`;
writeFileSync(
  new URL('../uapi/lint/ioctl_numbers.ts', import.meta.url),
  `${header}export const IOCTL_NUMBERS = \`\n${rows.join('\n')}\n\`;\n`,
);
process.stdout.write(`${rows.length} ranges\n`);
