/** Two outputs of a probe, line by line: what only the first has ("-"), and what only the second ("+"). */
export function difference(expected: string, actual: string): string[] {
  let [a, b] = [lines(expected), lines(actual)];
  // The table below is as large as the product of the lengths: only for what is between the same ends.
  const same = a.findIndex((line, i) => line !== b[i]);
  const start = same < 0 ? a.length : same;
  let end = 0;
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  [a, b] = [a.slice(start, a.length - end), b.slice(start, b.length - end)];
  // Longest common subsequence: common[i][j] is that of a from i on and b from j on.
  const common = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  const at = (i: number, j: number) => common[i]?.[j] ?? 0;
  for (let i = a.length - 1; i >= 0; i--) {
    const row = common[i] as Uint32Array;
    for (let j = b.length - 1; j >= 0; j--) {
      row[j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const result: string[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      i++;
      j++;
    } else if (i < a.length && (j === b.length || at(i + 1, j) >= at(i, j + 1))) {
      result.push(`-${a[i++]}`);
    } else {
      result.push(`+${b[j++]}`);
    }
  }
  return result;
}

/** The lines, with an escape for every byte that is no printable ASCII. */
function lines(text: string): string[] {
  const whole = text.split('\n').slice(0, text.endsWith('\n') ? -1 : undefined);
  return whole.map((line) =>
    line.replace(/[^\t -~]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`),
  );
}
