// Who may connect, as a table.
import { describe, expect, it } from 'vitest'
import { isAllowed } from '../../src/push/origin-check.ts'

describe('the origin check', () => {
  it.each([
    // origin, host, listening on, allowed origins, result
    ['', 'localhost:8080', '127.0.0.1', [], true],
    ['', '[::1]:8080', '::1', [], true],
    ['', 'evil.example:8080', '127.0.0.1', [], false],
    ['', 'views.example', '0.0.0.0', [], true],
    ['http://localhost:8080', 'localhost:8080', '127.0.0.1', [], true],
    ['https://views.example', 'views.example', '0.0.0.0', [], true],
    ['http://localhost:9090', 'localhost:8080', '127.0.0.1', [], false],
    ['http://evil.example:8080', 'evil.example:8080', '127.0.0.1', [], false],
    ['https://evil.example', 'views.example', '0.0.0.0', [], false],
    ['null', 'views.example', '0.0.0.0', [], false],
    ['https://desk.example', 'views.example', '127.0.0.1', ['https://desk.example'], true],
    ['https://desk.example.evil', 'views.example', '0.0.0.0', ['https://desk.example'], false],
    ['https://any.example', 'views.example', '0.0.0.0', ['*'], true],
  ])('origin "%s" to host %s on %s, allowed %j: %s', (origin, host, listenHost, allowed, result) => {
    expect(isAllowed({ origin, host }, listenHost, allowed)).toBe(result)
  })
})
