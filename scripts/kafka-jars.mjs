// Brings a real Apache Kafka for the tests: its jars from Maven, cached in .cache/kafka-<version>/. Seconds, then nothing.
// Needs java 17 and mvn (openjdk-17-jre-headless, maven).
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const KAFKA_VERSION = '4.3.1'
const folder = fileURLToPath(new URL(`../.cache/kafka-${KAFKA_VERSION}`, import.meta.url))

const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>millrace</groupId><artifactId>test-broker</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${KAFKA_VERSION}</version><scope>runtime</scope></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>${KAFKA_VERSION}</version><scope>runtime</scope></dependency>
  </dependencies>
</project>
`

/** Fails at once, with what to install, when java or mvn is missing and they are needed. */
export function requireBrokerTools() {
  const missing = [
    ['java', '-version'],
    ['mvn', '--version'],
  ]
    .filter(([command]) => !(command === 'mvn' && hasJars()))
    .filter(([command, argument]) => spawnSync(command, [argument]).status !== 0)
    .map(([command]) => command)
  if (missing.length === 0) return
  throw new Error(
    `The test broker needs ${missing.join(' and ')}: apt-get install openjdk-17-jre-headless maven, ` +
      'or set KAFKA_BROKERS to the address of a Kafka that may be filled with test topics.',
  )
}

/** The folder with Kafka's jars; downloads them the first time. */
export function kafkaJars() {
  const libs = join(folder, 'libs')
  if (hasJars()) return libs
  requireBrokerTools()
  const arriving = join(folder, `arriving-${process.pid}`)
  mkdirSync(arriving, { recursive: true })
  writeFileSync(join(arriving, 'pom.xml'), POM)
  const args = [
    '-q',
    '-B',
    '-f',
    join(arriving, 'pom.xml'),
    'dependency:copy-dependencies',
    `-DoutputDirectory=${arriving}/libs`,
  ]
  const run = spawnSync('mvn', args, { encoding: 'utf8' })
  if (run.status !== 0) throw new Error(`Kafka ${KAFKA_VERSION} could not be fetched:\n${run.stdout}\n${run.stderr}`)
  // Whole or not at all: two test runs may arrive together.
  if (!hasJars()) renameSync(join(arriving, 'libs'), libs)
  rmSync(arriving, { recursive: true, force: true })
  return libs
}

function hasJars() {
  return existsSync(join(folder, 'libs', `kafka_2.13-${KAFKA_VERSION}.jar`))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(kafkaJars())
