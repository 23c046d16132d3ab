export function prepareEntropy(): void {}
export function restoreEntropy(): void {}
