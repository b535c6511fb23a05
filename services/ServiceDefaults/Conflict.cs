using JasperFx;
using Npgsql;

namespace Huzhu.ServiceDefaults;

/// <summary>Somebody else committed first: read again, decide again.</summary>
public static class Conflict
{
    private const int LongestPauseMilliseconds = 40;

    public static bool Is(Exception exception) => exception switch
    {
        JasperFx.Events.ExistingStreamIdCollisionException or Marten.Exceptions.ExistingStreamIdCollisionException
            or JasperFx.Events.EventStreamUnexpectedMaxEventIdException or ConcurrencyException => true,
        PostgresException { SqlState: PostgresErrorCodes.UniqueViolation or PostgresErrorCodes.DeadlockDetected or PostgresErrorCodes.SerializationFailure } => true,
        AggregateException aggregate => aggregate.InnerExceptions.Any(Is),
        { InnerException: { } inner } => Is(inner),
        _ => false,
    };

    public static async Task<T> RetryAsync<T>(Func<Task<T>> attempt, int maxAttempts = 6)
    {
        for (var number = 1; ; number++)
        {
            try
            {
                return await attempt();
            }
            catch (Exception exception) when (number < maxAttempts && Is(exception))
            {
                await Task.Delay(Random.Shared.Next(1, LongestPauseMilliseconds));
            }
        }
    }
}
