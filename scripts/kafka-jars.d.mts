export declare const KAFKA_VERSION: string
export declare function requireBrokerTools(): void
export declare function kafkaJars(): string
