/** Comments of C headers, in the kernel's style: 80 columns, and kernel-doc for what is documented. */

const WIDTH = 80;

/** Text that ends no comment, and begins none within it; without characters that compilers warn of. */
function safe(text: string): string {
  const printable = text.replace(/(?![\n\t])\p{Cc}/gu, ' ');
  return printable.replaceAll('*/', '* /').replaceAll('/*', '/ *');
}

/** Words in lines of at most `width`, those after the first indented. */
function fill(text: string, width: number, indent = ''): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/).filter((one) => one !== '')) {
    const lead = lines.length === 0 ? '' : indent;
    const longer = line === '' ? lead + word : `${line} ${word}`;
    if (line !== '' && longer.length > width) {
      lines.push(line);
      line = indent + word;
    } else line = longer;
  }
  return line === '' ? lines : [...lines, line];
}

/** The lines of a text: paragraphs filled, list items apart, what is indented as it is. */
function paragraphs(text: string): string[] {
  const chunks: { text: string; item: boolean; verbatim?: boolean }[] = [];
  for (const line of safe(text).split('\n')) {
    const last = chunks.at(-1);
    const item = /^\s{0,3}([-*]|\d+\.) /.test(line);
    const verbatim = /^(\s{4,}|\t)/.test(line) && !(last?.item && last.text !== '');
    if (line.trim() === '' || item || verbatim || !last || last.text === '' || last.verbatim) {
      chunks.push({ text: verbatim ? line : line.trim(), item, verbatim });
    } else last.text += ` ${line.trim()}`;
  }
  return chunks.flatMap((chunk) => {
    if (chunk.text === '') return [''];
    return chunk.verbatim ? [chunk.text] : fill(chunk.text, WIDTH - 3, chunk.item ? '  ' : '');
  });
}

function framed(opening: string, lines: readonly string[]): string {
  const body = lines.map((line) => ` * ${line}`.trimEnd());
  return [opening, ...body, ' */', ''].join('\n');
}

/** A comment that no tool reads. */
export function plainComment(text: string): string {
  const lines = paragraphs(text);
  const [only = ''] = lines;
  const single = `/* ${only} */`;
  if (lines.length === 1 && single.length <= WIDTH) return `${single}\n`;
  return framed('/*', lines);
}

/** The first sentence, as a summary without its full stop, and the rest. */
export function summarize(text: string): { summary: string; rest: string } {
  const [first = '', ...others] = text.split(/\n\s*\n/);
  const [sentence = first] = /^[\s\S]+?[.!?](?=\s+[^\sa-z])/.exec(first) ?? [];
  const rest = [first.slice(sentence.length).trim(), ...others].filter((one) => one !== '');
  return { summary: sentence.trim().replace(/([^.])\.$/, '$1'), rest: rest.join('\n\n') };
}

/** A parameter of kernel-doc: a member of a struct, `name` or `outer.name`. */
export interface Parameter {
  readonly name: string;
  readonly doc: string;
}

/** kernel-doc of `what` (`struct job`, or `DOC: NAME`). */
export function kernelDoc(
  what: string,
  { summary, rest }: { summary: string; rest: string },
  parameters: readonly Parameter[] = [],
): string {
  const head = summary === '' ? what : `${what} - ${safe(summary)}`;
  const described = parameters.flatMap(({ name, doc }) =>
    fill(`@${name}: ${safe(doc)}`, WIDTH - 3, '    '),
  );
  const body = rest === '' ? [] : ['', ...paragraphs(rest)];
  return framed('/**', [...fill(head, WIDTH - 3, '  '), ...described, ...body]);
}
