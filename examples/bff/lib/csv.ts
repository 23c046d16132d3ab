/**
 * Writes rows of CSV as RFC 4180 describes them. A cell that a spreadsheet would
 * take for a formula is prefixed with an apostrophe, because addresses and notes
 * come from users.
 */

export function csvRow(cells: readonly (string | number)[]): string {
  return `${cells.map(csvCell).join(',')}\r\n`;
}

function csvCell(value: string | number): string {
  if (typeof value === 'number') return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
