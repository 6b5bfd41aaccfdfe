// The rights of a job from its plan, and the command lines that grant them. Keeps SPEC: SECURE-5.
import { count, job, json, kafka } from 'millrace'
import { describe, expect, test } from 'vitest'
import { aclCommands, jobRights, type RightsOptions } from '../../src/job/rights.ts'

const { plan: stateful } = job('j')
  .from(kafka('in', { value: json<{ sym: string }>(), key: 'sym' }))
  .keyBy('sym')
  .aggregate({ n: count() })
  .to(kafka('out'))
  .toView('v')
  .build()

const { plan: stateless } = job('copy')
  .from(kafka('in', { value: json<{ a: 1 }>() }))
  .to(kafka('out'))
  .build()

const short = (plan: typeof stateful, options: RightsOptions) =>
  jobRights(plan, options).map(({ resource, name, operation }) => `${resource} ${name}: ${operation}`)

describe('rights', () => {
  test('a job with state reads its source, writes its sinks, reads and writes its changelog and its views', () => {
    expect(short(stateful, { creates: 'none' })).toEqual([
      'topic in: Read',
      'topic out: Write',
      'topic out: DescribeConfigs',
      'topic j-view-v: Read',
      'topic j-view-v: Write',
      'topic j-view-v: DescribeConfigs',
      'topic j-dlq: Write',
      'topic j-dlq: DescribeConfigs',
      'topic j-changelog: Read',
      'topic j-changelog: Write',
      'topic j-changelog: DescribeConfigs',
      'group j: Read',
      'transactional-id j-: Write',
    ])
  })

  test('a job without state has no changelog to read', () => {
    expect(short(stateless, { creates: 'none' }).filter((one) => one.endsWith('Read'))).toEqual([
      'topic in: Read',
      'group copy: Read',
    ])
  })

  test.each<[RightsOptions['creates'], string[]]>([
    ['none', []],
    ['internal', ['j-view-v', 'j-dlq', 'j-changelog']],
    ['all', ['out', 'j-view-v', 'j-dlq', 'j-changelog']],
  ])('topics that the job makes: %s', (creates, names) => {
    const made = jobRights(stateful, { creates }).filter(({ operation }) => operation === 'Create')
    expect(made.map(({ name }) => name)).toEqual(names)
  })

  test('transactions are of the prefix of the job, or of one instance', () => {
    const of = (instanceId?: string) => jobRights(stateful, { creates: 'none', instanceId }).at(-1)
    expect(of()).toMatchObject({ name: 'j-', pattern: 'prefixed' })
    expect(of('blue')).toMatchObject({ name: 'j-blue', pattern: 'literal' })
  })
})

test('the command lines say the same with as few lines as there are kinds of resources', () => {
  const tool = 'kafka-acls.sh --bootstrap-server "$BROKERS" --command-config "$ADMIN_CONFIG" --add --allow-principal'
  expect(aclCommands(jobRights(stateful, { creates: 'none' }), 'User:CN=mill race')).toEqual([
    `${tool} 'User:CN=mill race' --operation Read --topic in`,
    `${tool} 'User:CN=mill race' --operation Write --operation DescribeConfigs --topic out --topic j-dlq`,
    `${tool} 'User:CN=mill race' --operation Read --operation Write --operation DescribeConfigs --topic j-view-v --topic j-changelog`,
    `${tool} 'User:CN=mill race' --operation Read --group j`,
    `${tool} 'User:CN=mill race' --operation Write --resource-pattern-type prefixed --transactional-id j-`,
  ])
})
