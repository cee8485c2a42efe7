import { type Tool, textResult } from '../tool.js';
import { evaluateExpression, functionNames, longestExpression } from './expression.js';
import { formatNumber } from './format-number.js';

export function createCalculatorTool(): Tool {
  return {
    name: 'calculator',
    description:
      'Evaluates an arithmetic expression and returns its value, to 15 significant digits. ' +
      'Operators: + - * / ^ (power), % (remainder; after a number alone, per cent: 10% is 0.1), ! (factorial), ' +
      `parentheses. Functions: ${functionNames.join(', ')}; angles are radians. Constants: pi, e. ` +
      'Examples: "12*(3+4)", "round(100/7, 2)", "sqrt(2)^3".',
    parameters: {
      type: 'object',
      properties: {
        expression: {
          type: 'string',
          minLength: 1,
          maxLength: longestExpression,
          description: 'the expression, for example "12*(3+4)"',
        },
      },
      required: ['expression'],
      additionalProperties: false,
    },
    isParallel: true,
    async execute(args) {
      if (typeof args.expression !== 'string') throw new Error('The expression must be a string.');
      return textResult(formatNumber(evaluateExpression(args.expression)));
    },
  };
}
